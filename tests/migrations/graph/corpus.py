"""Cypher migrations as teams write them, for one small graph of people, companies, tags and documents."""

SEED = (
    "CREATE (:Anchor {id: 1})",
    """UNWIND range(1, 12) AS i
    CREATE (:Person {id: i, name: 'Person ' + i, age: 20 + i, email: 'p' + i + '@x.org', score: i * 1.5,
      tags: ['a', 'b' + i], born: date('1990-01-01') + duration({days: i}), place: point({x: i, y: 1.5}),
      active: i % 2 = 0, city: CASE i % 3 WHEN 0 THEN 'Oslo' ELSE 'Rome' END, joined: '2020-01-' + (10 + i)})""",
    "UNWIND range(1, 3) AS i CREATE (:Company {id: i, name: 'Company ' + i, kind: 'ltd'})",
    """MATCH (p:Person), (c:Company) WHERE p.id % 3 + 1 = c.id
    CREATE (p)-[:WORKS_AT {since: 2000 + p.id, role: 'dev', from: date('2000-01-01')}]->(c)""",
    "MATCH (a:Person), (b:Person) WHERE a.id + 1 = b.id CREATE (a)-[:KNOWS {weight: a.id * 0.5}]->(b)",
    "UNWIND range(1, 6) AS i CREATE (:Tag {name: 'tag ' + (i % 2), n: i})",
    "MATCH (p:Person), (t:Tag) WHERE p.id % 6 + 1 = t.n CREATE (p)-[:TAGGED]->(t)",
    """CREATE (d:Document:Draft {id: 1, at: datetime('2024-03-31T02:30:00.123456789[Europe/Paris]'),
      local: localdatetime('2024-01-02T03:04:05.000000006'), clock: time('10:11:12.5+02:00'),
      bell: localtime('23:59:59.999999999'), span: duration('P1Y2M3DT4H5M6.000000007S'),
      spot: point({longitude: 12.5, latitude: 41.9, height: 3}), spots: [point({x: 1, y: 2}), point({x: 3, y: 4})],
      vector: [0.1, 0.2, 0.3], none: [], flags: [true, false], whole: 3.0, big: 9223372036854775807,
      dates: [date('2020-02-29')], text: 'päper ✓', `odd name``s`: 'quoted', bytes: $bytes})""",
)

SCHEMA = {
    "CONSTRAINT person_id": "CREATE CONSTRAINT `person_id` FOR (n:`Person`) REQUIRE (n.`id`) IS UNIQUE",
    "INDEX company_name": "CREATE RANGE INDEX `company_name` FOR (n:`Company`) ON (n.`name`)",
}
"""In the server's own words."""

USERS = (
    "MATCH (a:Anchor) SET a.seen = true CREATE (a)<-[:ON {at: 5}]-(:Later {id: 77, name: 'made by users'})",
    "CREATE (:Person {id: 1000, name: 'New', email: 'new@x.org'})",
    "MATCH (p:Person {score: 18.0}) SET p.nickname = 'set by users'",
)
"""What an application writes while the migration is in effect; it means the same with and without any of them."""

MIGRATIONS = {
    "create nodes": "CREATE (:Plan {id: 1, name: 'free'}), (:Plan {id: 2, name: 'paid'});",
    "create nodes without labels": "CREATE ({orphan: true}), ();",
    "create from a list": "UNWIND ['a', 'b', 'c'] AS name CREATE (:Role {name: name});",
    "merge nodes new and old": "UNWIND range(2, 5) AS i MERGE (c:Company {id: i}) ON CREATE SET c.name = 'C' + i\n"
    "ON MATCH SET c.seen = true;",
    "merge nothing": "MERGE (:Anchor {id: 1});",
    "create relationships": "MATCH (p:Person)-[:WORKS_AT]->(c:Company) CREATE (c)-[:EMPLOYS {since: 1}]->(p);",
    "merge relationships": "MATCH (a:Person {id: 1}), (b:Person) MERGE (a)-[k:KNOWS]->(b) ON MATCH SET k.old = true;",
    "loops": "MATCH (p:Person) CREATE (p)-[:SELF]->(p);",
    "overwrite a property": "MATCH (p:Person) SET p.name = toUpper(p.name);",
    "overwrite everything": "MATCH (c:Company) SET c = {id: c.id, label: 'new'};",
    "add a map": "MATCH (p:Person) WHERE p.id < 4 SET p += {name: 'x', age: null, fresh: [1, 2]};",
    "copy properties": "MATCH (c:Company {id: 1}), (p:Person {id: 2}) SET c += properties(p);",
    "add labels": "MATCH (p:Person) WHERE p.active SET p:Active:Member;",
    "remove labels": "MATCH (d:Draft) REMOVE d:Draft SET d:Published;",
    "all labels away": "MATCH (t:Tag) REMOVE t:Tag;",
    "delete relationships": "MATCH (:Person)-[k:KNOWS]->(:Person) DELETE k;",
    "delete nodes": "MATCH (t:Tag)<-[r:TAGGED]-() DELETE r;\nMATCH (t:Tag) DELETE t;",
    "detach delete": "MATCH (p:Person) WHERE p.id IN [3, 4, 5] DETACH DELETE p;",
    "detach delete a hub": "MATCH (c:Company {id: 1}) DETACH DELETE c;",
    "detach delete a document": "MATCH (d:Document) DETACH DELETE d;",
    "delete everything of a label": "MATCH (n:Company) DETACH DELETE n;\nCREATE (:Company {id: 1, name: 'only'});",
    "relationship type": "MATCH (a)-[r:KNOWS]->(b) CREATE (a)-[n:FRIEND_OF]->(b) SET n = properties(r) DELETE r;",
    "relationship direction": "MATCH (a:Person)-[r:WORKS_AT]->(b) CREATE (b)-[n:EMPLOYS]->(a) SET n = r DELETE r;",
    "relationship property": "MATCH ()-[r:WORKS_AT]->() SET r.year = r.since REMOVE r.since;",
    "rename a property": "MATCH (p:Person) SET p.full_name = p.name REMOVE p.name;",
    "rename a label": "MATCH (c:Company) SET c:Organisation REMOVE c:Company;",
    "text to date": "MATCH (p:Person) SET p.joined = date(p.joined);",
    "integer to float": "MATCH (p:Person) SET p.age = toFloat(p.age);",
    "float to integer": "MATCH (d:Document) SET d.whole = 3;",
    "text to list": "MATCH (p:Person) SET p.email = [p.email];",
    "lose precision": "MATCH (d:Document) SET d.at = datetime.truncate('second', d.at),\n"
    "d.local = date(d.local), d.span = duration('P1Y'), d.clock = null, d.bell = localtime('10:00');",
    "points": "MATCH (d:Document) SET d.spot = point({x: 1, y: 2}), d.spots = [d.spots[0]];\n"
    "MATCH (p:Person) SET p.x = p.place.x REMOVE p.place;",
    "bytes and lists away": "MATCH (d:Document) REMOVE d.bytes, d.vector, d.none, d.flags, d.dates, d.`odd name``s`;",
    "empty a list": "MATCH (p:Person) SET p.tags = [];",
    "property to node": "MATCH (p:Person) WHERE p.city <> ''\n"
    "MERGE (c:City {name: p.city}) MERGE (p)-[:LIVES_IN]->(c) REMOVE p.city;",
    "node to property": "MATCH (p:Person)-[r:WORKS_AT]->(c) SET p.company = c.name DELETE r;\n"
    "MATCH (c:Company) DELETE c;",
    "relationship to node": "MATCH (p:Person)-[r:WORKS_AT]->(c:Company)\n"
    "CREATE (p)-[:HAS]->(:Job {since: r.since, from: r.from})-[:AT]->(c) DELETE r;",
    "merge duplicates": "MATCH (t:Tag) WITH t.name AS name, collect(t) AS tags\n"
    "WITH head(tags) AS one, tail(tags) AS rest UNWIND rest AS t\n"
    "MATCH (p)-[r:TAGGED]->(t) MERGE (p)-[:TAGGED]->(one) DELETE r;\n"
    "MATCH (t:Tag) WHERE NOT EXISTS { (t)--() } DELETE t;",
    "merge duplicates with apoc": "MATCH (t:Tag) WITH t.name AS name, collect(t) AS tags\n"
    "CALL apoc.refactor.mergeNodes(tags, {properties: 'combine', mergeRels: true}) YIELD node RETURN count(node);",
    "split a hub": "MATCH (c:Company {id: 1})<-[r:WORKS_AT]-(p) CREATE (o:Office {n: p.id})-[:OF]->(c)\n"
    "CREATE (p)-[n:WORKS_AT]->(o) SET n = properties(r) DELETE r;",
    "foreach": "MATCH (p:Person {id: 1}) FOREACH (i IN range(1, 5) | CREATE (p)-[:OWNS]->(:Item {n: i}))\n"
    "FOREACH (x IN [p] | SET x.age = 0);",
    "union": "MATCH (p:Person {id: 1}) SET p.u = 1 RETURN p.id AS id UNION MATCH (c:Company) SET c.u = 2\n"
    "RETURN c.id AS id;",
    "subquery": "MATCH (c:Company) CALL { WITH c MATCH (p:Person)-[:WORKS_AT]->(c) SET p.paid = true\n"
    "RETURN count(p) AS n } SET c.size = n;",
    "in transactions": "MATCH (p:Person) CALL { WITH p SET p.name = 'x' } IN TRANSACTIONS OF 3 ROWS;",
    "delete in transactions": "MATCH (t:Tag)\nCALL (t) { DETACH DELETE t } IN 2 CONCURRENT TRANSACTIONS OF 2 ROWS\n"
    "ON ERROR FAIL;",
    "no labels named": "MATCH (n) WHERE n.name STARTS WITH 'Person' SET n.touched = 1;",
    "every relationship": "MATCH ()-[r]->() SET r.version = 2;",
    "dynamic labels": "MATCH (p:Person) SET p:$('L' + (p.id % 2));",
    "apoc labels": "MATCH (p:Person) CALL apoc.create.addLabels(p, ['Dyn' + p.id]) YIELD node RETURN count(*);",
    "apoc property": "MATCH (p:Person) CALL apoc.create.setProperty(p, 'k' + p.id, p.id) YIELD node RETURN count(*);",
    "apoc type": "MATCH ()-[r:KNOWS]->() CALL apoc.refactor.setType(r, 'MET') YIELD output RETURN count(*);",
    "swap unique values": "MATCH (a:Person {id: 1}), (b:Person {id: 2}) SET a.id = -1, b.id = -2;\n"
    "MATCH (a:Person {id: -1}), (b:Person {id: -2}) SET a.id = 2, b.id = 1;",
    "replace a unique node": "MATCH (p:Person {id: 3}) DETACH DELETE p;\nCREATE (:Person {id: 3, name: 'other'});",
    "made and deleted again": "CREATE (:Temp {id: 1})-[:T]->(:Temp {id: 2});\nMATCH (p:Person) SET p.t = 1;\n"
    "MATCH (t:Temp) DETACH DELETE t;",
    "write what is there": "MATCH (p:Person) SET p.name = p.name;",
    "several versions": "CREATE (:Version {n: 1});\n// then\nMATCH (v:Version) SET v.n = 2;\n"
    "MATCH (v:Version {n: 2}) CREATE (v)-[:NEXT]->(:Version {n: 3});",
    "vector property": "MATCH (d:Document) CALL db.create.setNodeVectorProperty(d, 'v', [1.0, 2.0]);",
}

SCHEMA_MIGRATIONS = {
    "unique constraint": "CREATE CONSTRAINT company_id FOR (c:Company) REQUIRE c.id IS UNIQUE;",
    "drop a constraint": "DROP CONSTRAINT person_id;",
    "indexes": "CREATE INDEX person_name FOR (p:Person) ON (p.name, p.age);\n"
    "CREATE TEXT INDEX person_email FOR (p:Person) ON (p.email);\n"
    "CREATE POINT INDEX person_place FOR (p:Person) ON (p.place);\n"
    "CREATE INDEX since FOR ()-[r:WORKS_AT]-() ON (r.since);",
    "fulltext index": "CREATE FULLTEXT INDEX words FOR (n:Person|Company) ON EACH [n.name, n.email];",
    "vector index": "CREATE VECTOR INDEX near FOR (d:Document) ON d.vector\n"
    "OPTIONS {indexConfig: {`vector.dimensions`: 3, `vector.similarity_function`: 'cosine'}};",
    "drop an index": "DROP INDEX company_name;",
    "index there already": "CREATE INDEX company_name IF NOT EXISTS FOR (c:Company) ON (c.name);",
    "change an index": "DROP INDEX company_name;\nCREATE TEXT INDEX company_name FOR (c:Company) ON (c.name);",
    "constraint for an index": "DROP INDEX company_name;\n"
    "CREATE CONSTRAINT company_name FOR (c:Company) REQUIRE c.name IS UNIQUE;",
    "mixed": "CREATE CONSTRAINT plan_id FOR (p:Plan) REQUIRE p.id IS UNIQUE;\n"
    "MATCH (c:Company) MERGE (p:Plan {id: c.kind}) MERGE (c)-[:ON]->(p) REMOVE c.kind;\n"
    "CREATE INDEX plan_name FOR (p:Plan) ON (p.name);",
    "mixed the other way": "MATCH (p:Person) SET p.key = toString(p.id) REMOVE p.id;\nDROP CONSTRAINT person_id;\n"
    "CREATE CONSTRAINT person_key FOR (p:Person) REQUIRE p.key IS UNIQUE;\nMATCH (p:Person) SET p.keyed = true;",
}

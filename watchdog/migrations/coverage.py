"""Whether the archives of a script keep everything that it destroys."""

from collections.abc import Iterator, Sequence
from typing import Any

from watchdog.migrations.parser import SqlSyntaxError, postgast, tree
from watchdog.migrations.sql import Loss, Statement, is_query, parse
from watchdog.targets.archive import Archive

_OURS = "watchdog"
# What a rollback is made of. Whatever else a server understands is refused.
_KINDS = frozenset(
    """
    SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt TruncateStmt SetOperationStmt CreateStmt CreateTableAsStmt
    CreateForeignTableStmt CreateSchemaStmt CreateSeqStmt AlterSeqStmt CreateEnumStmt AlterEnumStmt AlterTypeStmt
    CompositeTypeStmt CreateRangeStmt CreateDomainStmt AlterDomainStmt CreateFunctionStmt AlterFunctionStmt
    CreateTrigStmt CreatePolicyStmt AlterPolicyStmt CreateStatsStmt AlterStatsStmt ViewStmt RuleStmt
    RefreshMatViewStmt ReplicaIdentityStmt IndexStmt ReindexStmt VacuumStmt AlterTableStmt RenameStmt
    AlterObjectSchemaStmt AlterOwnerStmt DropStmt CommentStmt SecLabelStmt GrantStmt LockStmt ConstraintsSetStmt
    VariableSetStmt VariableShowStmt ExplainStmt PrepareStmt DeallocateStmt AlterSystemStmt CreateExtensionStmt
    ReturnStmt RawStmt
    """.split()  # noqa: SIM905 - quoted, nobody could read the list
)
# Built in (or of pgvector, pgcrypto, uuid-ossp); none runs SQL, changes a setting, or destroys anything.
_FUNCTIONS = frozenset(
    """
    abs age any_value array_agg array_append array_cat array_fill array_length array_lower array_ndims array_position
    array_positions array_prepend array_remove array_replace array_to_json array_to_string array_upper ascii avg
    bit_and bit_count bit_length bit_or bool_and bool_or btrim cardinality cbrt ceil ceiling char_length
    character_length chr clock_timestamp concat concat_ws convert_from convert_to corr cosine_distance count
    cume_dist current_database current_schema current_setting currval date date_bin date_part date_trunc decode
    degrees dense_rank digest div encode enum_first enum_last enum_range every exp extract factorial first_value
    floor format format_type gcd gen_random_uuid generate_series generate_subscripts get_bit get_byte greatest
    has_column_privilege has_schema_privilege has_table_privilege hashtext hashtextextended inet_merge initcap
    inner_product int4range int8range isempty isfinite json_agg json_array_elements json_array_elements_text
    json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object json_object_agg json_object_keys json_populate_record json_to_record
    json_to_recordset json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text
    jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
    jsonb_path_query_array jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty
    jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days
    justify_hours justify_interval l1_distance l2_distance l2_norm l2_normalize lag last_value lastval lcm lead least
    left length like_escape ln localtimestamp log log10 lower lower_inc lower_inf lpad ltrim make_date make_interval
    make_time make_timestamp make_timestamptz max md5 min mod mode multirange nextval normalize now nth_value ntile
    nullif num_nonnulls num_nulls numrange obj_description octet_length overlay parse_ident percent_rank
    percentile_cont percentile_disc pg_column_size pg_get_constraintdef pg_get_expr pg_get_indexdef
    pg_get_serial_sequence pg_get_viewdef pg_relation_size pg_table_size pg_total_relation_size pg_typeof
    phraseto_tsquery pi plainto_tsquery position power quote_ident quote_literal quote_nullable radians random
    range_agg rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right round row_number
    row_to_json rpad rtrim scale setseed setval setweight sha224 sha256 sha384 sha512 sign similarity split_part sqrt
    starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strpos
    subvector substr substring sum timezone to_ascii to_char to_date to_hex to_json to_jsonb to_number to_regclass
    to_regtype to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim trim_array trim_scale trunc
    ts_headline ts_rank ts_rank_cd tsrange tstzrange unnest upper upper_inc upper_inf uuid_generate_v1
    uuid_generate_v4 uuidv4 uuidv7 var_pop var_samp variance vector_dims vector_norm version
    websearch_to_tsquery width_bucket xmlagg xpath
    """.split()  # noqa: SIM905 - quoted, nobody could read the list
)
_READING = frozenset({"from_clause", "using_clause", "source_relation", "larg", "rarg"})
_WRITES = (tree.InsertStmt, tree.UpdateStmt, tree.DeleteStmt, tree.MergeStmt, tree.TruncateStmt)
_RENAMED_APART = frozenset({tree.OBJECT_SCHEMA, tree.OBJECT_DATABASE, tree.OBJECT_ROLE, tree.OBJECT_TABLESPACE})


def check(script: str, archives: Sequence[Archive], *, transactional: bool, schema: str = "public") -> Iterator[str]:
    """What is wrong with a script and its archives, one sentence each, with the script's line in front."""
    if schema == _OURS:
        yield "schema watchdog is the watchdog's own; name the service's schema."
    yield from _archive_complaints(archives, schema)
    try:
        statements = parse(script, schema)
    except SqlSyntaxError as error:
        yield f"{error}."
        return
    if not statements:
        yield "line 1: the script holds no statement."
    seen: list[Loss] = []
    for statement in statements:
        where = f"line {statement.line}: "
        yield from (where + refusal for refusal in (*statement.refusals, *_out_of_bounds(statement, transactional)))
        if transactional and statement.refused_in_transaction:
            yield f"{where}{statement.refused_in_transaction}; set transactional: false and give a verify query."
        for loss in statement.losses:
            if not _is_kept(loss, seen, archives, schema):
                yield where + _advice(loss)
            seen.append(loss)


def check_query(query: str) -> Iterator[str]:
    """What is wrong with a query that verifies."""
    try:
        if not is_query(query):
            yield "verify: write one SELECT that returns true or false."
            return
        yield from (f"verify: {problem}" for each in parse(query) for problem in _calls(each.node))
    except SqlSyntaxError as error:
        yield f"verify: {error}."


def covers(archive: Archive, loss: Loss, default_schema: str = "public") -> bool:
    """Whether this archive holds what is lost."""
    source = archive.source(default_schema)
    if loss.table is None:
        return source[0] == loss.schema
    kept = {*archive.columns, *archive.key}
    enough = not archive.columns or (bool(loss.columns) and kept.issuperset(loss.columns))
    return source == loss.table and enough and not (loss.everything and archive.where)


def _is_kept(loss: Loss, seen: Sequence[Loss], archives: Sequence[Archive], schema: str) -> bool:
    """A type's values are kept by the archive of the columns that had it, which the script took away before."""
    held = [loss] if loss.table or loss.schema else [each for each in seen if each.what.startswith(("DROP", "ALTER"))]
    return any(covers(archive, each, schema) for each in held for archive in archives)


def _out_of_bounds(statement: Statement, transactional: bool) -> Iterator[str]:  # noqa: FBT001 - the step's option
    """What no archive makes good: other people's code, the watchdog's own tables, what is no part of a rollback."""
    node = statement.node
    kinds = {type(each) for _, each in postgast.walk(node)}
    named = " ".join(statement.text.split()[:2])
    if not statement.refusals and any(kind.__name__.endswith("Stmt") and kind.__name__ not in _KINDS for kind in kinds):
        yield f"{named}: such statements are not for a rollback; leave it out."
    if not transactional and kinds.intersection(_WRITES):
        yield f"{named}: rows are written only with transactional: true, where they can be counted and taken back."
    if isinstance(node, tree.RenameStmt) and node.rename_type in _RENAMED_APART:
        yield f"{named}: after it, names would mean other tables than the archives; leave it out."
    if _touches_ours(node):
        yield f"{named}: schema watchdog is the watchdog's own; a script may read watchdog.archive_<name>, no more."
    yield from _calls(node)


def _calls(root: Any) -> Iterator[str]:
    """Functions that may do anything, and new ones that pass for harmless ones."""
    for _, node in postgast.walk(root):
        if isinstance(node, tree.FuncCall):
            names = [str(each.string.sval) for each in node.funcname]
            if names[-1] not in _FUNCTIONS or names[:-1] not in ([], ["pg_catalog"]):
                yield f"{'.'.join(names)}() may do anything; write what it does as statements of the script."
        elif isinstance(node, tree.CreateFunctionStmt) and str(node.funcname[-1].string.sval) in _FUNCTIONS:
            yield f"a function must not be called {node.funcname[-1].string.sval}, as one that is built in."
        elif isinstance(node, tree.RenameStmt) and node.newname in _FUNCTIONS and not node.HasField("relation"):
            yield f"nothing may be renamed to {node.newname}, as a function that is built in."


def _touches_ours(node: Any) -> bool:
    """Whether it names the watchdog's schema for anything but reading an archive."""
    if isinstance(node, tree.ColumnRef | tree.A_Const):
        return False
    for descriptor, value in node.ListFields():
        if isinstance(value, str):
            if value == _OURS and "schema" in descriptor.name:
                return True
        elif hasattr(value, "ListFields"):
            if _child_touches_ours(descriptor.name, value):
                return True
        elif isinstance(value, Sequence) and any(
            _child_touches_ours(descriptor.name, each) for each in value if hasattr(each, "ListFields")
        ):
            return True
    return False


def _child_touches_ours(name: str, child: Any) -> bool:
    node = postgast.unwrap_node(child)
    if isinstance(node, tree.String):
        return bool(node.sval == _OURS)
    if isinstance(node, tree.RangeVar) and name in _READING and node.relname.startswith("archive_"):
        return False
    return _touches_ours(node)


def _archive_complaints(archives: Sequence[Archive], schema: str) -> Iterator[str]:
    names = [archive.name for archive in archives]
    sources = [archive.source(schema) for archive in archives]
    for archive in archives:
        yield from archive.complaints()
        if archive.source(schema)[0] == _OURS:
            yield f"archive {archive.name!r}: schema watchdog is the watchdog's own, and no script may change it."
        if archive.where and not is_condition(archive.where):
            yield (
                f"archive {archive.name!r}: where is no SQL condition of built-in functions; write one such as "
                "created_at < now()."
            )
        if archive.where and sources.count(archive.source(schema)) > 1:
            yield f"archive {archive.name!r}: a table with a where can have one archive only; join the conditions."
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"archive {name!r} is there twice; give each its own name."


def is_condition(text: str) -> bool:
    """Whether a text can stand behind WHERE, nothing else stands there with it, and it only reads."""
    try:
        [statement] = parse(f"SELECT FROM x WHERE {text}")
    except (SqlSyntaxError, ValueError):
        return False
    present = {name.name for name, _ in statement.node.ListFields()}
    return (
        present <= {"from_clause", "where_clause", "limit_option", "op"}
        and "where_clause" in present
        and not any(_calls(statement.node))
    )


def _advice(loss: Loss) -> str:
    if loss.table is None and not loss.schema:
        return f"{loss.what} needs an archive of its columns; take them away in this script, before it, under archive."
    if loss.table is None:
        return f"{loss.what} needs an archive of what is lost; add it under archive."
    columns = f", columns: [{', '.join(loss.columns)}]" if loss.columns else ""
    whole = " (without where)" if loss.everything else ""
    return (
        f"{loss.what} destroys data that nothing keeps; add under archive: "
        f"{{name: …, table: {'.'.join(loss.table)}{columns}}}{whole}."
    )

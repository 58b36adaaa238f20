"""A schema that has one of everything, for a server to be asked about."""

SHOP = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN positive AS int;
CREATE TABLE customers (
    id int PRIMARY KEY, name varchar(20), age int, since timestamp, balance numeric(6, 2), rank positive,
    about text, mood mood, email text CONSTRAINT email_given CHECK (email IS NOT NULL)
);
CREATE INDEX customers_age ON customers (age);
CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE TABLE orders (
    id int PRIMARY KEY, customer_id int REFERENCES customers, total int NOT NULL DEFAULT 0,
    CONSTRAINT total_positive CHECK (total >= 0)
);
ALTER TABLE orders ADD CONSTRAINT orders_total_known CHECK (total IS NOT NULL) NOT VALID;
ALTER TABLE orders ADD CONSTRAINT orders_other FOREIGN KEY (total) REFERENCES customers NOT VALID;
CREATE VIEW ages AS SELECT id, age FROM customers;
CREATE MATERIALIZED VIEW names AS SELECT id, name FROM customers;
CREATE UNIQUE INDEX names_id ON names (id);
CREATE TABLE events (id int, day int) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_2 (id int, day int);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION dice() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 4; END';
CREATE FUNCTION four() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 4';
CREATE TRIGGER kept BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION keep();
CREATE POLICY everybody ON customers USING (true);
CREATE SEQUENCE numbers;
CREATE TABLE alone (
    id int NOT NULL, label text, code varchar(10), price numeric(6, 2), at timestamp, net cidr, number int,
    doubled int GENERATED ALWAYS AS (number * 2) STORED
);
CREATE UNIQUE INDEX alone_id ON alone (id);
CREATE TABLE fresh_and_empty (id int);
INSERT INTO customers (id, name, age, email, since) SELECT g, g::text, g, g::text, now() FROM generate_series(1, 100) g;
INSERT INTO alone (id, label, code, number) SELECT g, g::text, g::text, g FROM generate_series(1, 1000) g;
ANALYZE;
"""

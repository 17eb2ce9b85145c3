ALTER TABLE t ADD COLUMN b int AS (id + 1), ADD COLUMN c int AS (b * 2) STORED;

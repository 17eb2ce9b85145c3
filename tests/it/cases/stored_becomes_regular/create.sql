CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int, g int AS (n + 1) STORED, v int AS (n * 2) VIRTUAL);
INSERT INTO t (id, a, n) VALUES (1, 'x', 4), (2, NULL, NULL);

CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b int, c int, KEY ab (a, b), UNIQUE KEY bc (b, c));
INSERT INTO t VALUES (1, 'x', 1, 1), (2, NULL, 2, 1);

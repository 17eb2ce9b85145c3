CREATE TABLE t (id int PRIMARY KEY, a varchar(20), n int, g int);
INSERT INTO t VALUES (1, 'x', 4, 5), (2, NULL, NULL, NULL);

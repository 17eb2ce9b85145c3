CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b varchar(20), c int);
INSERT INTO t VALUES (1, 'x', 'y', 1), (2, NULL, 'w', NULL);

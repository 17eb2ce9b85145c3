CREATE TABLE t (id int PRIMARY KEY, v enum('a','b','c'));
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, NULL);

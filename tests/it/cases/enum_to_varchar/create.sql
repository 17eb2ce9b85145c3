CREATE TABLE t (id int PRIMARY KEY, v enum('a','b'));
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL);

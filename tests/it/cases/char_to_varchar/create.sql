CREATE TABLE t (id int PRIMARY KEY, v char(10));
INSERT INTO t VALUES (1, 'abc'), (2, '');

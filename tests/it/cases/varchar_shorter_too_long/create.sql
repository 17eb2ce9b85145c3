CREATE TABLE t (id int PRIMARY KEY, v varchar(300));
INSERT INTO t VALUES (1, 'abc'), (2, '12345678901');

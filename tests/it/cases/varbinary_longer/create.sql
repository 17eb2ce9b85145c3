CREATE TABLE t (id int PRIMARY KEY, v varbinary(10));
INSERT INTO t VALUES (1, x'00ff'), (2, '');

CREATE TABLE t (id int PRIMARY KEY, v blob);
INSERT INTO t VALUES (1, x'00ff'), (2, '');

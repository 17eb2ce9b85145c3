CREATE TABLE t (id int PRIMARY KEY, v binary(4));
INSERT INTO t VALUES (1, x'00ff'), (2, x'61');

CREATE TABLE t (id int PRIMARY KEY, v int(6) unsigned zerofill);
INSERT INTO t VALUES (1, 5), (2, 123456), (3, 1234567);

CREATE TABLE t (id int PRIMARY KEY, v varchar(20));
INSERT INTO t VALUES (1, '5'), (2, '-7'), (3, '0'), (4, NULL);

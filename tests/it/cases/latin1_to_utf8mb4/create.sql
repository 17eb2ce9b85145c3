CREATE TABLE t (id int PRIMARY KEY, v varchar(20) CHARACTER SET latin1);
INSERT INTO t VALUES (1, 'é'), (2, 'ÿþ'), (3, '');

CREATE TABLE t (id int PRIMARY KEY, v varchar(20) CHARACTER SET utf8mb3);
INSERT INTO t VALUES (1, 'é'), (2, 'ж');

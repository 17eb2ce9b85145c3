CREATE TABLE t (id int PRIMARY KEY, v varchar(20) CHARACTER SET utf8mb4);
INSERT INTO t VALUES (1, 'é'), (2, '');

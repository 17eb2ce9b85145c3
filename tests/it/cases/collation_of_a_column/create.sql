CREATE TABLE t (id int PRIMARY KEY, v varchar(20) COLLATE utf8mb4_0900_ai_ci);
INSERT INTO t VALUES (1, 'é'), (2, 'E');

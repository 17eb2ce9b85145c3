CREATE TABLE t (id int PRIMARY KEY, v longtext CHARACTER SET utf8mb4);
INSERT INTO t VALUES (1, '{}'), (2, '{');

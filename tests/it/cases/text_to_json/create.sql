CREATE TABLE t (id int PRIMARY KEY, v longtext CHARACTER SET utf8mb4);
INSERT INTO t VALUES (1, '{"a": [1, 2.5, "é"]}'), (2, NULL);

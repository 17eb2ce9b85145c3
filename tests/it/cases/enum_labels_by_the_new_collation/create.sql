CREATE TABLE t (id int PRIMARY KEY, v enum('a','b','A ') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin);
INSERT INTO t VALUES (1, 'a'), (2, 3), (3, NULL);

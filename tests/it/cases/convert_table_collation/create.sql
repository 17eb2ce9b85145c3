CREATE TABLE t (id int PRIMARY KEY, a varchar(20), c text, UNIQUE KEY ka (a)) COLLATE utf8mb4_0900_ai_ci;
INSERT INTO t VALUES (1, 'é', 'text'), (2, NULL, NULL);

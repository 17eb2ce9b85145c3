CREATE TABLE t (id varchar(10) COLLATE utf8mb4_bin PRIMARY KEY, a varchar(20));
INSERT INTO t VALUES ('a', 'x'), ('B', NULL), ('', 'e');

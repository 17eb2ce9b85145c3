CREATE TABLE t (id int PRIMARY KEY, v json);
INSERT INTO t VALUES (1, '{"a": [1, 2.5, "é"]}'), (2, NULL), (3, 'null');

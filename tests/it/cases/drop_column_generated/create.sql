CREATE TABLE t (id int PRIMARY KEY, a varchar(20), g varchar(40) AS (concat(a, '?')) STORED);
INSERT INTO t (id, a) VALUES (1, 'x'), (2, NULL);

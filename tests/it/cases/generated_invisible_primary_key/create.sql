SET SESSION sql_generate_invisible_primary_key = ON;
CREATE TABLE t (id int, a varchar(20));
INSERT INTO t VALUES (1, 'x'), (2, NULL);

CREATE TABLE t (id int NULL, a varchar(20), UNIQUE KEY u (id));

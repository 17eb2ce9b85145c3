CREATE TABLE t (id double PRIMARY KEY, a varchar(20));

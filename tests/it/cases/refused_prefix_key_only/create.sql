CREATE TABLE t (id varchar(100) NOT NULL, a varchar(20), UNIQUE KEY u (id(10)));

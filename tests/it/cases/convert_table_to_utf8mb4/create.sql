CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b char(5), c text, e enum('a','o'), KEY ka (a)) DEFAULT CHARSET=latin1;
INSERT INTO t VALUES (1, 'é', 'ü', 'text', 'a'), (2, NULL, NULL, NULL, 'o');

CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE t (id int PRIMARY KEY, a varchar(20), p int, CONSTRAINT to_parent FOREIGN KEY (p) REFERENCES parent (id));

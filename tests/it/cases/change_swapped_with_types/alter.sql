ALTER TABLE t CHANGE a b varchar(30), CHANGE b a varchar(40);

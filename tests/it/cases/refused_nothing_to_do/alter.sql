ALTER TABLE t MODIFY a varchar(20);

ALTER TABLE t MODIFY v varchar(10);

ALTER TABLE t MODIFY v longblob;

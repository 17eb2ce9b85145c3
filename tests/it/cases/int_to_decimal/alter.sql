ALTER TABLE t MODIFY v decimal(20,4);

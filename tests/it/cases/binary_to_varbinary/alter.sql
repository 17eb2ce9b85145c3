ALTER TABLE t MODIFY v varbinary(9);

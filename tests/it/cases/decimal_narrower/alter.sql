ALTER TABLE t MODIFY v decimal(12,6);

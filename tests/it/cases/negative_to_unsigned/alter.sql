ALTER TABLE t MODIFY v int unsigned;

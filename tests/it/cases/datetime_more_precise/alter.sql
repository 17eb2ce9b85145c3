ALTER TABLE t MODIFY v datetime(6);

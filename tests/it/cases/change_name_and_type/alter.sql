ALTER TABLE t CHANGE c cc bigint NULL COMMENT 'wide';

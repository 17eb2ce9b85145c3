ALTER TABLE t MODIFY v varchar(20) COLLATE utf8mb4_bin;

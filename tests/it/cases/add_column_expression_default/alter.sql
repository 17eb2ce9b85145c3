ALTER TABLE t ADD COLUMN b int DEFAULT (1 + 2), ADD COLUMN c varchar(40) DEFAULT (concat('a', 'b')), ADD COLUMN d json DEFAULT (json_array(1, 2));

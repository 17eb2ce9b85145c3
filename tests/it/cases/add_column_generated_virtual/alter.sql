ALTER TABLE t ADD COLUMN b varchar(40) AS (concat(a, '!')) VIRTUAL;

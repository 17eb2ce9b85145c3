CREATE TABLE t (id int PRIMARY KEY, a varchar(20), `select` int, `a``b` int, `ein Wort` int, `päd-né.x` int, `"q'` int);
INSERT INTO t VALUES (1, 'x', 1, 2, 3, 4, 5);

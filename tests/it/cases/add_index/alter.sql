ALTER TABLE t ADD INDEX two (a, n), ADD KEY pre (a(3)), ADD KEY dsc (n DESC, a ASC);

CREATE TABLE "t" (
  "value" String COMMENT 'aaiclick:binary'
)
ENGINE=Memory

SELECT continent, strong, strongest FROM continents;
SELECT region, FORMAT_TIMESTAMP(FROM_UNIXTIME(WINDOWSTART), 'yyyy-MM-dd') AS day, quakes, strongest, ROUND(average, 1) AS average
  FROM region_days WHERE region = 'Alaska';

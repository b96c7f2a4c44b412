-- A week of earthquakes (USGS, 31 January to 7 February 2018), one JSON object per
-- event in the topic "earthquakes". The event's own time is its timestamp.
CREATE STREAM earthquakes (
    event_id STRING KEY, time BIGINT, place STRING, region STRING, mag DOUBLE, depth_km DOUBLE, lon DOUBLE, lat DOUBLE,
    kind STRING, tsunami BOOLEAN, felt INT, sig INT
  ) WITH (KAFKA_TOPIC = 'earthquakes', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON', TIMESTAMP = 'time');

-- A small table: what the regions are called and where they lie.
CREATE TABLE regions (region STRING PRIMARY KEY, name STRING, country STRING, continent STRING)
  WITH (KAFKA_TOPIC = 'regions', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');

-- From here on every query shows what is in the topics already.
SET 'auto.offset.reset' = 'earliest';

-- The strong ones only.
CREATE STREAM strong_quakes AS
  SELECT event_id, region, place, mag, time FROM earthquakes WHERE mag >= 4.5 EMIT CHANGES;

-- How many per region and day, the strongest of them and the average. The grace covers
-- the whole week: events of two partitions arrive in no common order.
CREATE TABLE region_days AS
  SELECT region, COUNT(*) AS quakes, MAX(mag) AS strongest, AVG(mag) AS average
  FROM earthquakes
  WINDOW TUMBLING (SIZE 1 DAY, RETENTION 3650 DAYS, GRACE PERIOD 8 DAYS)
  GROUP BY region EMIT CHANGES;

-- Each strong one with the name and continent of its region, where it is known.
CREATE STREAM located_quakes AS
  SELECT q.region AS region, r.name AS name, r.continent AS continent, q.place AS place, q.mag AS mag
  FROM strong_quakes q LEFT JOIN regions r ON q.region = r.region EMIT CHANGES;

CREATE TABLE continents AS
  SELECT continent, COUNT(*) AS strong, MAX(mag) AS strongest FROM located_quakes
  WHERE continent IS NOT NULL GROUP BY continent EMIT CHANGES;

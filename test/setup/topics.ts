/** What short notes of the tests are about: fourteen things of each kind. */
export const TOPICS = {
  food: 'soup,bread,cheese,pasta,salad,cake,rice,curry,pancakes,stew,sushi,pizza,roast chicken,omelette'.split(','),
  weather: 'rain,snow,sunshine,a storm,fog,wind,hail,a heat wave,drizzle,frost,thunder,clouds,a flood,sleet'.split(','),
  sport: 'football,tennis,rowing,boxing,cycling,hockey,golf,judo,rugby,fencing,swimming,cricket,skiing,archery'.split(','),
};

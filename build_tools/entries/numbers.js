// Telephone numbers, by the smaller of the library's sets of data.

export {
  Metadata,
  getCountryCallingCode,
  isSupportedCountry,
  isValidPhoneNumber,
  parsePhoneNumberFromString,
} from "libphonenumber-js/min";
